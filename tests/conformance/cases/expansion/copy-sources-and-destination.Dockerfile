FROM busybox
ARG F=a EXT=txt D=/dst
COPY $F.$EXT ${D}/
COPY ["${F}.txt", "$D/json"]
