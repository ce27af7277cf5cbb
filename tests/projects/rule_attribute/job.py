import toolbox
import toolbox_setup

print(toolbox.saw.cut())
