FROM busybox
RUN for i in 1 2 3; do \
      for j in a b c; do \
        echo "$i$j" >> /out; \
      done; \
    done
