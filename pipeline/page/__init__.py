"""The interactive page reports/laboratory.html: its arithmetic, its data, its charts."""
