// Answer JPEG and PNG pictures with the model in this folder: ./predict PICTURE...
//
// Needs ONNX Runtime's C++ headers and library, libjpeg-turbo, libpng and nlohmann-json; on Debian 13 and newer:
//   apt install g++ pkg-config libonnxruntime-dev libturbojpeg0-dev libpng-dev nlohmann-json3-dev
//   g++ -std=c++17 -O2 predict.cpp -o predict $(pkg-config --cflags --libs libonnxruntime libturbojpeg libpng)

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>
#include <onnxruntime_cxx_api.h>
#include <png.h>
#include <turbojpeg.h>

namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using Bytes = std::vector<std::uint8_t>;

struct Picture {
    int width;
    int height;
    int chans;
    Bytes data;  // row by row, channels interleaved
};

// ---- decoding ----

Bytes read_file(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) throw std::runtime_error("cannot be read");
    return Bytes(std::istreambuf_iterator<char>(file), {});
}

Picture decode_jpeg(const Bytes& file) {
    const std::unique_ptr<void, decltype(&tjDestroy)> decoder(tjInitDecompress(), tjDestroy);
    int width, height, subsampling, colours;
    if (tjDecompressHeader3(decoder.get(), file.data(), file.size(), &width, &height, &subsampling, &colours) != 0)
        throw std::runtime_error(tjGetErrorStr2(decoder.get()));
    if (colours == TJCS_CMYK || colours == TJCS_YCCK) throw std::runtime_error("CMYK is not handled; convert it to RGB");
    Picture picture{width, height, 3, Bytes(std::size_t(width) * height * 3)};
    if (tjDecompress2(decoder.get(), file.data(), file.size(), picture.data.data(), width, 0, height, TJPF_RGB,
                      TJFLAG_ACCURATEDCT) != 0)
        throw std::runtime_error(tjGetErrorStr2(decoder.get()));
    return picture;
}

std::uint32_t number_at(const Bytes& file, std::size_t at, int size, bool little = false) {
    std::uint32_t value = 0;
    for (int index = 0; index < size; ++index) value = value << 8 | file.at(at + (little ? size - 1 - index : index));
    return value;
}

// PNG's chunks that do not belong to `left_out`, behind the signature.
Bytes png_without(const Bytes& file, const std::vector<std::string>& left_out) {
    Bytes kept(file.begin(), file.begin() + 8);
    for (std::size_t at = 8; at + 12 <= file.size();) {
        const std::size_t end = std::min<std::size_t>(file.size(), at + 12 + number_at(file, at, 4));
        const std::string type(file.begin() + at + 4, file.begin() + at + 8);
        if (std::find(left_out.begin(), left_out.end(), type) == left_out.end())
            kept.insert(kept.end(), file.begin() + at, file.begin() + end);
        at = end;
    }
    return kept;
}

Picture decode_png(const Bytes& file) {
    const Bytes plain = png_without(file, {"gAMA", "iCCP", "cHRM", "sRGB"});  // libpng would change the values by them
    png_image header{};
    header.version = PNG_IMAGE_VERSION;
    if (!png_image_begin_read_from_memory(&header, plain.data(), plain.size())) throw std::runtime_error(header.message);
    header.flags |= PNG_IMAGE_FLAG_16BIT_sRGB;  // and take 16-bit files for linear light
    header.format = PNG_FORMAT_RGBA;
    Bytes rgba(PNG_IMAGE_SIZE(header));
    if (!png_image_finish_read(&header, nullptr, rgba.data(), 0, nullptr)) throw std::runtime_error(header.message);
    Picture picture{int(header.width), int(header.height), 3, Bytes(rgba.size() / 4 * 3)};
    for (std::size_t pixel = 0; pixel < rgba.size() / 4; ++pixel) {
        const int alpha = rgba[4 * pixel + 3];
        for (int chan = 0; chan < 3; ++chan)  // laid over white
            picture.data[3 * pixel + chan] = (rgba[4 * pixel + chan] * alpha + 255 * (255 - alpha) + 127) / 255;
    }
    return picture;
}

// Where the TIFF block of EXIF begins; 0 where there is none.
std::size_t exif_of_jpeg(const Bytes& file) {
    for (std::size_t at = 2; file.at(at) == 0xFF && file.at(at + 1) != 0xDA; at += 2 + number_at(file, at + 2, 2))
        if (file.at(at + 1) == 0xE1 && number_at(file, at + 4, 4) == 0x45786966) return at + 10;  // APP1, "Exif"
    return 0;
}

std::size_t exif_of_png(const Bytes& file) {
    for (std::size_t at = 8; at + 12 <= file.size(); at += 12 + std::size_t(number_at(file, at, 4)))
        if (number_at(file, at + 4, 4) == 0x65584966) return at + 8;  // "eXIf"
    return 0;
}

// The EXIF orientation, 1 to 8; 1 where there is none.
int orientation_of(const Bytes& file, std::size_t (*exif_of)(const Bytes&)) {
    try {
        const std::size_t tiff = exif_of(file);
        if (tiff == 0) return 1;
        const bool little = file.at(tiff) == 'I';
        const std::size_t table = tiff + number_at(file, tiff + 4, 4, little);
        for (std::uint32_t entry = 0; entry < number_at(file, table, 2, little); ++entry) {
            const std::size_t field = table + 2 + 12 * entry;
            if (number_at(file, field, 2, little) != 0x0112) continue;
            const int value = number_at(file, field + 8, 2, little);
            return value >= 1 && value <= 8 ? value : 1;
        }
    } catch (const std::out_of_range&) {  // cut short or damaged: no reason to lose the picture
    }
    return 1;
}

Picture turned(const Picture& stored, int orientation) {
    const bool swaps = orientation >= 5;
    const bool flips_rows = orientation == 3 || orientation == 4 || orientation == 7 || orientation == 8;
    const bool flips_columns = orientation == 2 || orientation == 3 || orientation == 6 || orientation == 7;
    Picture seen{swaps ? stored.height : stored.width, swaps ? stored.width : stored.height, stored.chans, {}};
    seen.data.reserve(stored.data.size());
    for (int y = 0; y < seen.height; ++y) {
        for (int x = 0; x < seen.width; ++x) {
            const int row = flips_rows ? seen.height - 1 - y : y;
            const int column = flips_columns ? seen.width - 1 - x : x;
            const std::size_t from = swaps ? std::size_t(column) * stored.width + row : std::size_t(row) * stored.width + column;
            seen.data.insert(seen.data.end(), &stored.data[from * stored.chans], &stored.data[from * stored.chans] + stored.chans);
        }
    }
    return seen;
}

Picture read_picture(const fs::path& path) {
    const Bytes file = read_file(path);
    if (file.size() > 3 && file[0] == 0xFF && file[1] == 0xD8)
        return turned(decode_jpeg(file), orientation_of(file, exif_of_jpeg));
    if (file.size() > 8 && png_sig_cmp(file.data(), 0, 8) == 0)
        return turned(decode_png(file), orientation_of(file, exif_of_png));
    throw std::runtime_error("is neither JPEG nor PNG");
}

Picture grey(const Picture& rgb) {
    Picture result{rgb.width, rgb.height, 1, Bytes(rgb.data.size() / 3)};
    for (std::size_t pixel = 0; pixel < result.data.size(); ++pixel) {
        const auto* from = &rgb.data[3 * pixel];
        result.data[pixel] = (from[0] * 19595 + from[1] * 38470 + from[2] * 7471 + 0x8000) >> 16;
    }
    return result;
}

// ---- resizing: Pillow's arithmetic, to the bit ----

constexpr int kFractionBits = 22;  // of a weight as an integer

struct Window {  // the pixels of the source that one pixel of the result takes
    int first;
    std::vector<int> weights;
};

double filter_weight(double x, bool bicubic) {
    x = std::abs(x);
    if (!bicubic) return std::max(0.0, 1 - x);
    if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
    return x < 2 ? (((x - 5) * x + 8) * x - 4) * -0.5 : 0;
}

// For each pixel of the centre, `crop` long, of a side that is resized from `length` to `resized`.
std::vector<Window> windows(int length, int resized, int crop, bool bicubic) {
    const double scale = double(length) / resized;
    const double stretch = std::max(scale, 1.0);  // antialiasing: the filter grows as the picture shrinks
    const double reach = (bicubic ? 2 : 1) * stretch;
    const double offset = std::nearbyint((resized - crop) / 2.0);  // half to even
    std::vector<Window> result;
    for (int index = 0; index < crop; ++index) {
        const double centre = (offset + index + 0.5) * scale;
        const int first = std::max(int(centre - reach + 0.5), 0);
        const int end = std::min(int(centre + reach + 0.5), length);
        std::vector<double> shares;
        for (int pixel = first; pixel < end; ++pixel)
            shares.push_back(filter_weight((pixel - centre + 0.5) * (1 / stretch), bicubic));
        const double total = std::accumulate(shares.begin(), shares.end(), 0.0);
        Window window{first, {}};
        for (const double share : shares)
            window.weights.push_back(int(share / total * (1 << kFractionBits) + (share / total < 0 ? -0.5 : 0.5)));
        result.push_back(std::move(window));
    }
    return result;
}

// One result column a window, rounded to 8 bits; transposed, so that twice does both sides.
Picture resize_rows(const Picture& source, const std::vector<Window>& columns) {
    const int chans = source.chans;
    Picture result{source.height, int(columns.size()), chans, Bytes(columns.size() * source.height * chans)};
    for (int y = 0; y < source.height; ++y) {
        for (std::size_t column = 0; column < columns.size(); ++column) {
            const auto& [first, weights] = columns[column];
            for (int chan = 0; chan < chans; ++chan) {
                const auto* from = &source.data[(std::size_t(y) * source.width + first) * chans + chan];
                int sum = 1 << (kFractionBits - 1);
                for (std::size_t step = 0; step < weights.size(); ++step) sum += from[step * chans] * weights[step];
                result.data[(column * source.height + y) * chans + chan] = std::clamp(sum >> kFractionBits, 0, 255);
            }
        }
    }
    return result;
}

// The network's input of one picture, (C, S, S); `recipe` is `preprocessing` of artifact.json.
std::vector<float> preprocess(Picture picture, const json& recipe) {
    const int size = recipe.at("img_size");
    const auto mean = recipe.at("mean").get<std::vector<float>>();
    const auto deviation = recipe.at("std").get<std::vector<float>>();
    if (mean.size() == 1) picture = grey(picture);
    const bool bicubic = recipe.at("interpolation") == "bicubic";
    const auto side = std::int64_t(std::floor(size / recipe.at("crop_pct").get<double>()));
    const int shorter = std::min(picture.width, picture.height);
    const auto columns = windows(picture.width, int(side * picture.width / shorter), size, bicubic);
    const auto rows = windows(picture.height, int(side * picture.height / shorter), size, bicubic);
    const Picture centre = resize_rows(resize_rows(picture, columns), rows);
    std::vector<float> input;
    for (std::size_t chan = 0; chan < mean.size(); ++chan)
        for (std::size_t at = chan; at < centre.data.size(); at += mean.size())
            input.push_back((centre.data[at] / 255.0f - mean[chan]) / deviation[chan]);
    return input;
}

// (C, S, S) as (S, S, C).
std::vector<float> interleaved(const std::vector<float>& planes, std::size_t chans) {
    const std::size_t size = planes.size() / chans;
    std::vector<float> result(planes.size());
    for (std::size_t at = 0; at < result.size(); ++at) result[at] = planes[at % chans * size + at / chans];
    return result;
}

// ---- answering ----

std::vector<float> answers_of(Ort::Session& session, const json& artifact, const std::vector<float>& image) {
    const json& declared = artifact.at("input").at("shape");
    std::vector<std::int64_t> shape{1};
    if (declared[0].is_number()) shape[0] = declared[0];  // the file takes so many at once
    for (std::size_t axis = 1; axis < declared.size(); ++axis) shape.push_back(declared[axis]);
    std::vector<float> images;
    for (std::int64_t index = 0; index < shape[0]; ++index) images.insert(images.end(), image.begin(), image.end());
    const auto memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
    const auto input = Ort::Value::CreateTensor<float>(memory, images.data(), images.size(), shape.data(), shape.size());
    const std::string input_name = artifact.at("input").at("name");
    Ort::AllocatorWithDefaultOptions allocator;
    const auto output_name = session.GetOutputNameAllocated(0, allocator);
    const char* inputs[] = {input_name.c_str()};
    const char* outputs[] = {output_name.get()};
    const auto results = session.Run(Ort::RunOptions{}, inputs, &input, 1, outputs, 1);
    const float* answers = results[0].GetTensorData<float>();
    return std::vector<float>(answers, answers + artifact.at("num_classes").get<std::size_t>());
}

std::vector<double> softmax(const std::vector<float>& logits) {
    std::vector<double> powers;
    const float largest = *std::max_element(logits.begin(), logits.end());
    for (const float logit : logits) powers.push_back(std::exp(double(logit) - largest));
    const double total = std::accumulate(powers.begin(), powers.end(), 0.0);
    for (double& power : powers) power /= total;
    return powers;
}

void print_top_five(const char* path, const std::vector<double>& probabilities, const json& labels) {
    std::vector<std::size_t> order(probabilities.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(),
                     [&](auto one, auto other) { return probabilities[one] > probabilities[other]; });
    order.resize(std::min<std::size_t>(order.size(), 5));
    std::printf("%s:", path);
    const char* separator = " ";
    for (const auto index : order) {
        const std::string label = labels.empty() ? std::to_string(index) : labels.at(index).get<std::string>();
        std::printf("%s%s %.1f%%", separator, label.c_str(), 100 * probabilities[index]);
        separator = ", ";
    }
    std::printf("\n");
}

}  // namespace

int main(int count, char** arguments) {
    const fs::path folder = fs::path(arguments[0]).parent_path();
    std::ifstream record(folder / "artifact.json");
    if (!record) {
        std::fprintf(stderr, "artifact.json is missing beside %s\n", arguments[0]);
        return 1;
    }
    const json artifact = json::parse(record);
    Ort::Env environment;
    Ort::Session session(environment, (folder / artifact.at("files")[0].get<std::string>()).c_str(), Ort::SessionOptions{});
    int status = 0;
    for (int index = 1; index < count; ++index) {
        try {
            const json& recipe = artifact.at("preprocessing");
            auto image = preprocess(read_picture(arguments[index]), recipe);
            if (artifact.at("input").at("layout") == "nhwc") image = interleaved(image, recipe.at("mean").size());
            const auto answers = answers_of(session, artifact, image);
            const bool gives_logits = artifact.at("output") == "logits";
            print_top_five(arguments[index],
                           gives_logits ? softmax(answers) : std::vector<double>(answers.begin(), answers.end()),
                           artifact.at("labels"));
        } catch (const std::exception& error) {
            std::fprintf(stderr, "%s: %s\n", arguments[index], error.what());
            status = 1;
        }
    }
    return status;
}
