# escape=ab
#: fails 1 escape
FROM busybox
