#: fails 3 expecting boolean value for flag --keep-git-dir, not 'maybe'
FROM busybox
ADD --keep-git-dir=maybe plain.txt /x
