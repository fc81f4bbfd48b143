FROM busybox
ENV V=name.txt EXT=.txt
ENV A=${V%$EXT} B=${V%${EXT}} C=${V/$EXT/.md}
