// SPDX-License-Identifier: GPL-3.0-or-later
// Flamenco job type: fits every clip of a folder, spread over the workers of a render farm.
// Copy it to the folder "scripts" beside the Flamenco Manager. Every worker needs the folder, the package
// lsr1_solver and a Python that has numpy; {python} is a variable of the Manager, or write the path.

const JOB_TYPE = {
    label: "LSR1 Body Fit",
    settings: [
        { key: "folder", type: "string", subtype: "dir_path", required: true,
          description: "Folder of clips: keypoint files and folders, movies, folders of pictures" },
        { key: "output", type: "string", subtype: "dir_path", required: false, default: "",
          description: "Folder for the results; empty: 'fits' in the folder of clips" },
        { key: "parts", type: "int32", required: true, default: 8,
          description: "Into how many tasks the clips are divided; more than there are clips is no harm" },
        { key: "jobs", type: "int32", required: true, default: 1,
          description: "Clips that a worker fits at the same time" },
        { key: "image_size", type: "string", required: false, default: "",
          description: "Size of the picture, such as 1920x1080, where the files do not say" },
        { key: "lens", type: "float", required: false, default: 0.0,
          description: "Focal length in mm on a 36 mm wide sensor; 0: assumed" },
        { key: "frame_rate", type: "float", required: false, default: 0.0,
          description: "Frames a second; 0: the movie's, or 30" },
        { key: "python", type: "string", required: true, default: "{python}", visible: "submission",
          description: "The Python that runs the fit" },
    ],
};

function compileJob(job) {
    const settings = job.settings;
    if (settings.parts < 1) {
        throw "parts is " + settings.parts + "; at least 1 is needed";
    }
    const fits = [];
    for (let part = 1; part <= settings.parts; part++) {
        const task = author.Task("fit-" + part + "-of-" + settings.parts, "misc");
        task.addCommand(batchCommand(settings, ["--part", part + "/" + settings.parts]));
        fits.push(task);
        job.addTask(task);
    }
    // The same command without a part finds everything finished and writes the report of all clips.
    const report = author.Task("report", "misc");
    report.addCommand(batchCommand(settings, []));
    for (const task of fits) {
        report.addDependency(task);
    }
    job.addTask(report);
}

function batchCommand(settings, more) {
    let args = ["-m", "lsr1_solver", "batch", settings.folder, "--jobs", String(settings.jobs)];
    if (settings.output) {
        args = args.concat(["--output", settings.output]);
    }
    if (settings.image_size) {
        args = args.concat(["--image-size", settings.image_size]);
    }
    if (settings.lens > 0) {
        args = args.concat(["--lens", String(settings.lens)]);
    }
    if (settings.frame_rate > 0) {
        args = args.concat(["--frame-rate", String(settings.frame_rate)]);
    }
    return author.Command("exec", { exe: settings.python, args: args.concat(more) });
}
