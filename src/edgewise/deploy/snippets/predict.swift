// Answer pictures with the model in this folder, on macOS 14 or newer: ./predict PICTURE...
//
// Needs Xcode's command line tools alone: swiftc -O Preprocess.swift predict.swift -o predict
// In an app for iOS 17 or newer, take both files without `Predict`, add the model's folder to the bundle as it is, and ask
// a `Classifier`.

import CoreGraphics
import CoreML
import Foundation
import ImageIO

/// What artifact.json says of the model.
struct Artifact: Decodable {
    struct Input: Decodable {
        let name: String
        let shape: [Int]
    }

    let files: [String]
    let input: Input
    let output: String
    let numClasses: Int
    let labels: [String]
    let preprocessing: Recipe
}

enum PredictError: Error {
    case unreadablePicture(URL)
    case noAnswer
}

/// The model of one folder.
struct Classifier {
    private let artifact: Artifact
    private let model: MLModel

    init(folder: URL) throws {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        let record = try Data(contentsOf: folder.appendingPathComponent("artifact.json"))
        artifact = try decoder.decode(Artifact.self, from: record)
        let package = folder.appendingPathComponent(artifact.files[0])
        model = try MLModel(contentsOf: MLModel.compileModel(at: package))
    }

    /// Returns the five most likely labels with probabilities, the most likely first.
    func answer(_ picture: Picture) throws -> [(label: String, probability: Double)] {
        let image = preprocess(picture, artifact.preprocessing)
        let images = Array(repeatElement(image, count: artifact.input.shape[0]).joined())  // the file takes so many at once
        let value = MLFeatureValue(shapedArray: MLShapedArray(scalars: images, shape: artifact.input.shape))
        let output = try model.prediction(from: MLDictionaryFeatureProvider(dictionary: [artifact.input.name: value]))
        guard let name = output.featureNames.first, let array = output.featureValue(for: name)?.multiArrayValue else {
            throw PredictError.noAnswer
        }
        let answers = MLShapedArray<Float>(converting: array).scalars.prefix(artifact.numClasses).map(Double.init)
        let probabilities = artifact.output == "logits" ? softmax(answers) : answers
        let best = probabilities.indices.sorted { probabilities[$0] > probabilities[$1] }.prefix(5)
        return best.map { (artifact.labels.isEmpty ? String($0) : artifact.labels[$0], probabilities[$0]) }
    }

    private func softmax(_ logits: [Double]) -> [Double] {
        let largest = logits.max() ?? 0
        let powers = logits.map { exp($0 - largest) }
        let total = powers.reduce(0, +)
        return powers.map { $0 / total }
    }
}

extension Picture {
    /// Decodes a picture as it is meant to be seen: over white, turned by its EXIF orientation, its profile ignored.
    init(contentsOf url: URL) throws {
        let space = CGColorSpace(name: CGColorSpace.sRGB)!
        guard let source = CGImageSourceCreateWithURL(url as CFURL, nil),
            let image = CGImageSourceCreateImageAtIndex(source, 0, nil),
            let canvas = CGContext(
                data: nil, width: image.width, height: image.height, bitsPerComponent: 8, bytesPerRow: 4 * image.width,
                space: space, bitmapInfo: CGImageAlphaInfo.noneSkipLast.rawValue)
        else { throw PredictError.unreadablePicture(url) }
        let bounds = CGRect(x: 0, y: 0, width: image.width, height: image.height)
        canvas.setFillColor(red: 1, green: 1, blue: 1, alpha: 1)
        canvas.fill(bounds)
        canvas.draw(image.colorSpace?.model == .rgb ? image.copy(colorSpace: space) ?? image : image, in: bounds)
        let bytes = withExtendedLifetime(canvas) {  // which owns them
            Array(UnsafeRawBufferPointer(start: canvas.data, count: 4 * image.width * image.height))
        }
        let stored = Picture(width: image.width, height: image.height, rgbx: bytes)
        let properties = CGImageSourceCopyPropertiesAtIndex(source, 0, nil) as? [CFString: Any]
        self = stored.turned(by: properties?[kCGImagePropertyOrientation] as? Int ?? 1)
    }
}

@main
struct Predict {
    static func main() throws {
        let folder = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
        let classifier = try Classifier(folder: folder)
        for path in CommandLine.arguments.dropFirst() {
            let best = try classifier.answer(Picture(contentsOf: URL(fileURLWithPath: path)))
            let texts = best.map { "\($0.label) \(String(format: "%.1f", 100 * $0.probability))%" }
            print("\(path): \(texts.joined(separator: ", "))")
        }
    }
}
