from django.conf import settings
from django.db import migrations, models

ORGANIZERS = "organizers"
SUBMISSIONS = (("submission", "add_submission"), ("submission", "change_submission"))
GROUPS = {
    ORGANIZERS: (("rawdata", "add_rawdata"), ("rawdata", "change_rawdata"), ("rawdata", "upload_code"), *SUBMISSIONS),
    "submitters": SUBMISSIONS,
    "observers": (("rawdata", "view_all"),),
}
NAMES = {
    "upload_code": "Can upload a specific.py, which runs on the runners",
    "view_all": "Can see all submissions and folds",
    "add_rawdata": "Can add data set",
    "change_rawdata": "Can change data set",
    "add_submission": "Can add submission",
    "change_submission": "Can change submission",
}


def make_groups(apps, schema_editor):
    """Make the groups; who could do everything until now becomes an organizer."""
    alias = schema_editor.connection.alias
    group_model = apps.get_model("auth", "Group")
    for name, permissions in GROUPS.items():
        group, _ = group_model.objects.using(alias).get_or_create(name=name)
        group.permissions.add(*(permission(apps, alias, model, codename) for model, codename in permissions))
    organizers = group_model.objects.using(alias).get(name=ORGANIZERS)
    users = apps.get_model(settings.AUTH_USER_MODEL).objects.using(alias)
    organizers.user_set.add(*users.values_list("pk", flat=True))


def permission(apps, alias, model, codename):
    # Django makes permissions after all migrations, and then leaves alone those that are there.
    content_type, _ = (
        apps.get_model("contenttypes", "ContentType").objects.using(alias).get_or_create(app_label="runapp", model=model)
    )
    found, _ = (
        apps.get_model("auth", "Permission")
        .objects.using(alias)
        .get_or_create(codename=codename, content_type=content_type, defaults={"name": NAMES[codename]})
    )
    return found


class Migration(migrations.Migration):

    dependencies = [
        ('runapp', '0004_limits_of_data_sets'),
        ('auth', '0012_alter_user_first_name_max_length'),
        ('contenttypes', '0002_remove_content_type_name'),
    ]

    operations = [
        migrations.AlterModelOptions(
            name='rawdata',
            options={'ordering': ('id',), 'permissions': (('upload_code', 'Can upload a specific.py, which runs on the runners'), ('view_all', 'Can see all submissions and folds')), 'verbose_name': 'data set'},
        ),
        migrations.AddIndex(
            model_name='submissionfold',
            index=models.Index(fields=['created_at'], name='fold_by_posting'),
        ),
        # Going back leaves the groups: who is in them is not ours to forget.
        migrations.RunPython(make_groups, migrations.RunPython.noop),
    ]
