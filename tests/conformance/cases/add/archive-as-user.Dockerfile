FROM users
USER alice
ADD many/one.tar /x/
