// The part of Android's classes that Predict.kt uses, by their documented signatures: to compile against, not to run.

package android.content

import android.content.res.AssetManager

abstract class Context {
    abstract val assets: AssetManager
}
