FROM busybox
RUN ["sh", "-c", "cat <<EOF > /out\nx\nEOF\n"]
