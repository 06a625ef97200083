// From a decoded picture to the network's input. Plain Kotlin: nothing here needs Android.
// Resizing repeats Pillow's arithmetic, to the bit.

import kotlin.math.abs
import kotlin.math.floor
import kotlin.math.max
import kotlin.math.min
import kotlin.math.round
import kotlin.math.roundToInt

/** What `preprocessing` of artifact.json says; [mean] and [std] have one value a channel. */
class Recipe(
    val imgSize: Int,
    val cropPct: Double,
    val interpolation: String,
    val mean: FloatArray,
    val std: FloatArray,
)

/** Pixels as Android's bitmaps give them: 0xAARRGGBB, row by row, not premultiplied. */
class Picture(val width: Int, val height: Int, val argb: IntArray)

/** Returns the network's input of one picture: (C, S, S). */
fun preprocess(picture: Picture, recipe: Recipe): FloatArray {
    val size = recipe.imgSize
    val side = floor(size / recipe.cropPct).toLong()
    val shorter = min(picture.width, picture.height)
    val filter = Filter.valueOf(recipe.interpolation.uppercase())
    val columns = windows(picture.width, (side * picture.width / shorter).toInt(), size, filter)
    val rows = windows(picture.height, (side * picture.height / shorter).toInt(), size, filter)
    return recipe.mean.indices.flatMap { chan ->
        val plane = if (recipe.mean.size == 1) picture.greyPlane() else picture.plane(shift = 16 - 8 * chan)
        val centre = resizeRows(resizeRows(plane, picture.width, columns), picture.height, rows)
        centre.map { (it / 255f - recipe.mean[chan]) / recipe.std[chan] }
    }.toFloatArray()
}

/** Returns (C, S, S) as (S, S, C). */
fun interleaved(planes: FloatArray, chans: Int): FloatArray {
    val size = planes.size / chans
    return FloatArray(planes.size) { planes[it % chans * size + it / chans] }
}

private fun Picture.plane(shift: Int) = IntArray(argb.size) { overWhite(argb[it], shift) }

private fun Picture.greyPlane() = IntArray(argb.size) {
    val pixel = argb[it]
    (overWhite(pixel, 16) * 19595 + overWhite(pixel, 8) * 38470 + overWhite(pixel, 0) * 7471 + 0x8000) shr 16
}

private fun overWhite(pixel: Int, shift: Int): Int {
    val alpha = pixel ushr 24
    val value = pixel shr shift and 0xFF
    return if (alpha == 255) value else ((value * alpha + 255 * (255 - alpha)) / 255f).roundToInt()
}

private enum class Filter(val reach: Int) {
    BILINEAR(1) {
        override fun weight(x: Double) = max(0.0, 1 - x)
    },
    BICUBIC(2) {
        override fun weight(x: Double) = when {
            x < 1 -> (1.5 * x - 2.5) * x * x + 1
            x < 2 -> (((x - 5) * x + 8) * x - 4) * -0.5
            else -> 0.0
        }
    };

    /** Returns the share of a pixel at the distance [x] >= 0. */
    abstract fun weight(x: Double): Double
}

private const val FRACTION_BITS = 22 // of a weight as an integer

/** The pixels of the source that one pixel of the result takes, and how much of each. */
private class Window(val first: Int, val weights: IntArray)

/** Returns a window for each pixel of the centre, [crop] long, of a side that is resized from [length] to [resized]. */
private fun windows(length: Int, resized: Int, crop: Int, filter: Filter): List<Window> {
    val scale = length.toDouble() / resized
    val stretch = max(scale, 1.0) // antialiasing: the filter grows as the picture shrinks
    val offset = round((resized - crop) / 2.0) // half to even
    return List(crop) { index ->
        val centre = (offset + index + 0.5) * scale
        val first = max((centre - filter.reach * stretch + 0.5).toInt(), 0)
        val end = min((centre + filter.reach * stretch + 0.5).toInt(), length)
        val shares = (first until end).map { filter.weight(abs((it - centre + 0.5) * (1 / stretch))) }
        val total = shares.sum()
        Window(first, IntArray(shares.size) { fixedPoint(shares[it] / total) })
    }
}

private fun fixedPoint(share: Double) = (share * (1 shl FRACTION_BITS) + if (share < 0) -0.5 else 0.5).toInt()

/** Resizes along the rows, rounded to 8 bits, and transposes, so that twice does both sides. */
private fun resizeRows(plane: IntArray, width: Int, columns: List<Window>): IntArray {
    val height = plane.size / width
    val result = IntArray(columns.size * height)
    for (y in 0 until height) {
        columns.forEachIndexed { column, window ->
            var sum = 1 shl FRACTION_BITS - 1
            for (step in window.weights.indices) sum += plane[y * width + window.first + step] * window.weights[step]
            result[column * height + y] = (sum shr FRACTION_BITS).coerceIn(0, 255)
        }
    }
    return result
}
