// java PreprocessCasesKt CASES: write each case's input, as float32, to the file that it names; channels last to that name with .nhwc.

import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder

private fun String.floats() = split(",").map { it.toFloat() }.toFloatArray()

fun main(arguments: Array<String>) {
    for (line in File(arguments[0]).readLines()) {
        val (source, width, height, imgSize, cropPct) = line.split(" ")
        val (interpolation, mean, std, target) = line.split(" ").drop(5)
        val rgba = ByteBuffer.wrap(File(source).readBytes()) // big-endian: an int is 0xRRGGBBAA
        val argb = IntArray(width.toInt() * height.toInt()) { Integer.rotateRight(rgba.getInt(), 8) }
        val recipe = Recipe(imgSize.toInt(), cropPct.toDouble(), interpolation, mean.floats(), std.floats())
        val input = preprocess(Picture(width.toInt(), height.toInt(), argb), recipe)
        write(input, target)
        write(interleaved(input, recipe.mean.size), "$target.nhwc")
    }
}

private fun write(values: FloatArray, target: String) {
    val bytes = ByteBuffer.allocate(4 * values.size).order(ByteOrder.LITTLE_ENDIAN)
    values.forEach { bytes.putFloat(it) }
    File(target).writeBytes(bytes.array())
}
