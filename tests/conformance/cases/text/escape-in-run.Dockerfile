FROM busybox
RUN printf 'a\nb\\c\$d' > /out; echo \"x\" >> /out
