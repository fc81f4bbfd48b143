FROM busybox
CMD echo hello   "two  spaces" && true
