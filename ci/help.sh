# For the scripts beside it: --help prints what stands at their top, before anything is made.
for argument; do
    case $argument in
        -h | --help)
            sed -n '2,/^[^#]/{/^#/!q;s/^# \{0,1\}//p;}' "$0"
            exit 0
            ;;
    esac
done
