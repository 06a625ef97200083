"""Results as data: frozen models with units in their field names, JSON in and out, never torch."""
