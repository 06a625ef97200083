"""Programs that go along with an exported file. Each part is real code: checked here, joined and copied beside the file."""
