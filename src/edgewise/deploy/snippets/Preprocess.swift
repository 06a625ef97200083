// From a decoded picture to the network's input. Plain Swift: nothing here needs Core ML.
// Resizing repeats Pillow's arithmetic, to the bit.

import Foundation

/// What `preprocessing` of artifact.json says; `mean` and `std` have one value a channel.
struct Recipe: Decodable {
    let imgSize: Int
    let cropPct: Double
    let interpolation: String
    let mean: [Float]
    let std: [Float]
}

/// Pixels row by row, four bytes each: red, green, blue, and one that is not used.
struct Picture {
    let width: Int
    let height: Int
    let rgbx: [UInt8]

    /// Returns the picture as it is meant to be seen, for an EXIF orientation of 1 to 8.
    func turned(by orientation: Int) -> Picture {
        guard (2...8).contains(orientation) else { return self }
        let swapsSides = orientation >= 5
        let flipsRows = [3, 4, 7, 8].contains(orientation)
        let flipsColumns = [2, 3, 6, 7].contains(orientation)
        let (newWidth, newHeight) = swapsSides ? (height, width) : (width, height)
        var result = [UInt8]()
        result.reserveCapacity(rgbx.count)
        for y in 0..<newHeight {
            for x in 0..<newWidth {
                let row = flipsRows ? newHeight - 1 - y : y
                let column = flipsColumns ? newWidth - 1 - x : x
                let from = 4 * (swapsSides ? column * width + row : row * width + column)
                result.append(contentsOf: rgbx[from..<from + 4])
            }
        }
        return Picture(width: newWidth, height: newHeight, rgbx: result)
    }
}

/// Returns the network's input of one picture: (C, S, S).
func preprocess(_ picture: Picture, _ recipe: Recipe) -> [Float] {
    let size = recipe.imgSize
    let side = Int((Double(size) / recipe.cropPct).rounded(.down))
    let shorter = min(picture.width, picture.height)
    let isBicubic = recipe.interpolation == "bicubic"
    let columns = windows(picture.width, to: side * picture.width / shorter, crop: size, isBicubic: isBicubic)
    let rows = windows(picture.height, to: side * picture.height / shorter, crop: size, isBicubic: isBicubic)
    return recipe.mean.indices.flatMap { channel -> [Float] in
        let plane = recipe.mean.count == 1 ? picture.grey : picture.plane(channel)
        let centre = resizeRows(resizeRows(plane, width: picture.width, columns), width: picture.height, rows)
        return centre.map { (Float($0) / 255 - recipe.mean[channel]) / recipe.std[channel] }
    }
}

extension Picture {
    fileprivate func plane(_ channel: Int) -> [Int32] {
        stride(from: channel, to: rgbx.count, by: 4).map { Int32(rgbx[$0]) }
    }

    fileprivate var grey: [Int32] {
        let (red, green, blue) = (plane(0), plane(1), plane(2))
        return red.indices.map { index -> Int32 in
            let weighted: Int32 = red[index] * 19595 + green[index] * 38470 + blue[index] * 7471
            return (weighted + 0x8000) >> 16
        }
    }
}

/// The pixels of the source that one pixel of the result takes, and how much of each.
private struct Window {
    static let fractionBits: Int32 = 22  // of a weight as an integer
    let first: Int
    let weights: [Int32]
}

/// Returns a window for each pixel of the centre, `crop` long, of a side that is resized.
private func windows(_ length: Int, to resized: Int, crop: Int, isBicubic: Bool) -> [Window] {
    let scale = Double(length) / Double(resized)
    let stretch = max(scale, 1)  // antialiasing: the filter grows as the picture shrinks
    let reach = (isBicubic ? 2 : 1) * stretch
    let offset = (Double(resized - crop) / 2).rounded(.toNearestOrEven)
    return (0..<crop).map { index in
        let centre = (offset + Double(index) + 0.5) * scale
        let first = max(Int(centre - reach + 0.5), 0)
        let end = min(Int(centre + reach + 0.5), length)
        let shares = (first..<end).map { pixel -> Double in
            let distance = abs((Double(pixel) - centre + 0.5) * (1 / stretch))
            return isBicubic ? cubic(distance) : max(0, 1 - distance)
        }
        let total = shares.reduce(0, +)
        let one = Double(1 << Window.fractionBits)
        return Window(first: first, weights: shares.map { Int32(($0 / total * one).rounded()) })
    }
}

private func cubic(_ x: Double) -> Double {
    if x < 1 { return (1.5 * x - 2.5) * x * x + 1 }
    return x < 2 ? (((x - 5) * x + 8) * x - 4) * -0.5 : 0
}

/// Resizes along the rows, rounded to 8 bits, and transposes, so that twice does both sides.
private func resizeRows(_ plane: [Int32], width: Int, _ columns: [Window]) -> [Int32] {
    let height = plane.count / width
    var result = [Int32](repeating: 0, count: columns.count * height)
    for y in 0..<height {
        for (column, window) in columns.enumerated() {
            var sum: Int32 = 1 << (Window.fractionBits - 1)
            for (step, weight) in window.weights.enumerated() {
                sum += plane[y * width + window.first + step] * weight
            }
            result[column * height + y] = min(max(sum >> Window.fractionBits, 0), 255)
        }
    }
    return result
}
