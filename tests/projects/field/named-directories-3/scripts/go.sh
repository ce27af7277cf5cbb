DIR="$(cd "$(dirname "$0")" && pwd)"
python "$DIR/sub.py"
