"""Architecture as data: block rows, whole models, walking and scaling them. Never torch."""
