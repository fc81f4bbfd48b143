FROM busybox
RUN (sleep 100; touch /late) & echo started > /out
