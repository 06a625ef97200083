"""Recipes: functions that return a training config."""
