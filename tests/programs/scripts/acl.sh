# Access control lists: set, shown, copied, inherited and taken away.
set -e
export LC_ALL=C
umask 022
echo content >file
setfacl -m u:daemon:rw,g:adm:r file
getfacl -cn file
stat -c %A file
chmod g-w file && getfacl -cn file
cp -p file copy && getfacl -c copy | cmp - <(getfacl -c file) && echo same
mkdir directory
setfacl -d -m u:daemon:rwx directory
echo content >directory/inner
mkdir directory/deeper
getfacl -cn directory directory/inner directory/deeper
getfacl -R directory >saved
setfacl -R -b directory
getfacl -cn directory/deeper
setfacl --restore=saved && getfacl -R directory | cmp - saved && echo restored
setfacl -x u:daemon file && setfacl -b file && getfacl -cn file
setfacl -m u:nobody:r missing 2>&1 || echo "status $?"
