def parse(parser):
    parser.add_argument("--local", action="store_true")
    parser.add_argument("--shops", nargs="*", default=["graz", "linz", "wels"])
    return parser.parse_args()
