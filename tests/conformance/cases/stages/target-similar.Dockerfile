#: target buidl
#: fails - "buidl" could not be found(?s:.*)did you mean build\?
FROM busybox AS build
