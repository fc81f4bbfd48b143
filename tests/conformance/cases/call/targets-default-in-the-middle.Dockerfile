#: call targets
#: target a
FROM scratch AS a
FROM a AS b
