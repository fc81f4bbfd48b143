#: differs tree/x/user-xattr xattrs: lade keeps all xattrs, BuildKit security.capability only
FROM busybox
COPY --from=odd /odd /x
