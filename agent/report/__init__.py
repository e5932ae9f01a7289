"""`ai-sci report`: a session or a batch as one page that anybody can open, and check against what it was made from."""
