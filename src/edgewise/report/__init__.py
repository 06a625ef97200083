"""Records shown to people: tables, plots, contact sheets and the HTML report."""
