FROM merged
ADD many/one.tar /abs/
ADD many/two.tar.gz /rel
