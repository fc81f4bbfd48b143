#: fails 2 library/lade-conformance
FROM lade-conformance AS lade-conformance
