// Answer pictures with the model in this folder, on Android 9 or newer.
//
// Needs LiteRT: implementation("com.google.ai.edge.litert:litert:2.1.0") in build.gradle.kts. Copy the model and artifact.json
// to src/main/assets, Predict.kt and Preprocess.kt to the sources, each with your package's name on top, and call
//   Predictor(context).use { it.answer(ImageDecoder.createSource(context.contentResolver, uri)) }

import android.content.Context
import android.graphics.ImageDecoder
import com.google.ai.edge.litert.Accelerator
import com.google.ai.edge.litert.CompiledModel
import org.json.JSONArray
import org.json.JSONObject
import kotlin.math.exp

/** A label with its probability, 0 to 1. */
data class Answer(val label: String, val probability: Double)

/** The model in the app's assets. Opening and answering take time: stay off the main thread. */
class Predictor(context: Context) : AutoCloseable {
    private val artifact = JSONObject(context.assets.open("artifact.json").bufferedReader().use { it.readText() })
    private val recipe = recipeOf(artifact.getJSONObject("preprocessing"))
    private val labels = artifact.getJSONArray("labels").strings()
    private val numClasses = artifact.getInt("num_classes")
    private val input = artifact.getJSONObject("input")
    private val batch = input.getJSONArray("shape").getInt(0)
    private val isInterleaved = input.getString("layout") == "nhwc"
    private val givesLogits = artifact.getString("output") == "logits"
    private val model = CompiledModel.create(
        context.assets,
        artifact.getJSONArray("files").getString(0),
        CompiledModel.Options(Accelerator.CPU),
    )
    private val inputs = model.createInputBuffers()
    private val outputs = model.createOutputBuffers()

    /** Returns the five most likely labels, the most likely first. */
    fun answer(source: ImageDecoder.Source): List<Answer> {
        val planes = preprocess(readPicture(source), recipe)
        val image = if (isInterleaved) interleaved(planes, recipe.mean.size) else planes
        inputs[0].writeFloat(FloatArray(batch * image.size) { image[it % image.size] }) // the file takes so many at once
        model.run(inputs, outputs)
        val answers = outputs[0].readFloat().take(numClasses)
        val probabilities = if (givesLogits) softmax(answers) else answers.map { it.toDouble() }
        return probabilities.indices.sortedByDescending { probabilities[it] }.take(5)
            .map { Answer(labels.getOrElse(it) { index -> "$index" }, probabilities[it]) }
    }

    override fun close() {
        (inputs + outputs).forEach { it.close() }
        model.close()
    }
}

private fun softmax(logits: List<Float>): List<Double> {
    val largest = logits.max()
    val powers = logits.map { exp((it - largest).toDouble()) }
    val total = powers.sum()
    return powers.map { it / total }
}

/** Decodes a picture as it is meant to be seen: the decoder turns it by its EXIF orientation. */
private fun readPicture(source: ImageDecoder.Source): Picture {
    val bitmap = ImageDecoder.decodeBitmap(source) { decoder, _, _ ->
        decoder.allocator = ImageDecoder.ALLOCATOR_SOFTWARE // pixels in the GPU's memory cannot be read
        decoder.isUnpremultipliedRequired = true
    }
    val pixels = IntArray(bitmap.width * bitmap.height)
    bitmap.getPixels(pixels, 0, bitmap.width, 0, 0, bitmap.width, bitmap.height)
    return Picture(bitmap.width, bitmap.height, pixels).also { bitmap.recycle() }
}

private fun recipeOf(json: JSONObject) = Recipe(
    imgSize = json.getInt("img_size"),
    cropPct = json.getDouble("crop_pct"),
    interpolation = json.getString("interpolation"),
    mean = json.getJSONArray("mean").floats(),
    std = json.getJSONArray("std").floats(),
)

private fun JSONArray.strings() = List(length()) { getString(it) }

private fun JSONArray.floats() = FloatArray(length()) { getDouble(it).toFloat() }
