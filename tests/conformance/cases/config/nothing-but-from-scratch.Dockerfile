#: differs config.history: lade writes an empty list, BuildKit null
FROM scratch
