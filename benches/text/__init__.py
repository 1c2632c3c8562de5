"""Text search measured side by side: `python -m benches.text`."""
