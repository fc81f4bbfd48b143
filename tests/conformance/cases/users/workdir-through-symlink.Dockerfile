FROM merged
WORKDIR /abs/new
WORKDIR /rel/x
RUN pwd > /out
