package com.google.ai.edge.litert

import android.content.res.AssetManager

enum class Accelerator { CPU }

abstract class TensorBuffer : AutoCloseable {
    abstract fun writeFloat(data: FloatArray)

    abstract fun readFloat(): FloatArray
}

abstract class CompiledModel : AutoCloseable {
    abstract fun createInputBuffers(): List<TensorBuffer>

    abstract fun createOutputBuffers(): List<TensorBuffer>

    abstract fun run(inputs: List<TensorBuffer>, outputs: List<TensorBuffer>)

    class Options(val accelerator: Accelerator)

    companion object {
        fun create(assets: AssetManager, assetName: String, options: Options): CompiledModel = TODO("$assets $assetName $options")
    }
}
