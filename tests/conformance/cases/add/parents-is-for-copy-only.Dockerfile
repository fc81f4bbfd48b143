#: fails 3 unknown flag: --parents
FROM busybox
ADD --parents many/one.tar /x/
