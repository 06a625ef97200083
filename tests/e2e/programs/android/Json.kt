package org.json

abstract class JSONArray {
    abstract fun length(): Int

    abstract fun getString(index: Int): String

    abstract fun getDouble(index: Int): Double

    abstract fun getInt(index: Int): Int
}

open class JSONObject(private val text: String) {
    open fun getString(name: String): String = TODO(text + name)

    open fun getDouble(name: String): Double = TODO(text + name)

    open fun getInt(name: String): Int = TODO(text + name)

    open fun getJSONObject(name: String): JSONObject = TODO(text + name)

    open fun getJSONArray(name: String): JSONArray = TODO(text + name)
}
