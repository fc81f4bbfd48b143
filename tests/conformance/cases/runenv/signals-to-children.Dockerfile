FROM busybox
RUN sleep 50 & p=$!; kill $p; wait $p; echo $? > /out
