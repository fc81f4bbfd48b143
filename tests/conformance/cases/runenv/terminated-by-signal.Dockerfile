# The first process of a PID namespace has no default actions for signals.
FROM busybox
RUN kill -TERM $$; echo survived > /out
