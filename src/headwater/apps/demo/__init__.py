"""The demo: a simulated lender, the project file that watches it, and the page of figures."""
