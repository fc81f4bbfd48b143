FROM busybox
ENV SET=set
ENV A=${SET:?must-be-set} B=${SET?must-be-set}
