#: differs tree/x/[hs] links: lade makes a symlink of its own of a hard link to one
FROM busybox
ADD link-to-symlink.tar /x/
