FROM busybox
COPY --chmod=u+x a.txt /a
COPY --chmod=go-r,u=rwx a.txt /b
COPY --chmod=a=r script.sh /c
COPY --chmod=+x a.txt /d
COPY --chmod=u=rwX,go=rX dir /e
COPY --chmod=g=u a.txt /f
COPY --chmod=ug+s,o+t script.sh /g
