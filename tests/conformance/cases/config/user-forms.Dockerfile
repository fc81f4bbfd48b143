FROM users
USER alice
USER alice:staff
USER 5:6
USER "quoted"
