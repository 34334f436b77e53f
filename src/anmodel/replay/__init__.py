"""replay: feeds a file or a known public data set through the collector."""
