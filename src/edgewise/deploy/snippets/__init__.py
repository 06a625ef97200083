"""Programs that go along with an exported file. Each part is real code: Python's are joined, the others copied as they are."""
