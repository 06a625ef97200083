package android.graphics

abstract class Bitmap {
    abstract val width: Int
    abstract val height: Int

    abstract fun getPixels(pixels: IntArray, offset: Int, stride: Int, x: Int, y: Int, width: Int, height: Int)

    abstract fun recycle()
}

abstract class ImageDecoder {
    abstract var allocator: Int
    abstract var isUnpremultipliedRequired: Boolean

    abstract class Source

    abstract class ImageInfo

    fun interface OnHeaderDecodedListener {
        fun onHeaderDecoded(decoder: ImageDecoder, info: ImageInfo, source: Source)
    }

    companion object {
        const val ALLOCATOR_SOFTWARE = 1

        fun decodeBitmap(source: Source, listener: OnHeaderDecodedListener): Bitmap = TODO("$source $listener")
    }
}
