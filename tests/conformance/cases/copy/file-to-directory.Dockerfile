FROM busybox
COPY a.txt /new/
COPY b.txt /etc/
COPY c.md /etc
#: mtimes new/a.txt etc/b.txt
