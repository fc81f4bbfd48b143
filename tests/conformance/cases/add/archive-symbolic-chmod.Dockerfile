FROM busybox
ADD --chmod=u=rwX,go= a.tar /x/
