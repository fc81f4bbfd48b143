#: differs tree/x/*: lade keeps the xattrs of the context, BuildKit transfers none
#: context special
FROM busybox
COPY xattrs /x
